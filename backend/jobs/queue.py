"""The one Celery app. Its messages are empty: they only tell a worker that there may be something to claim."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from backend.settings import Settings

logger = logging.getLogger(__name__)

WAKE = "pairlab.wake"
"""Name of the one task; its body is in `worker.app`."""
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
VISIBILITY_SECONDS = 3600
"""Messages are acknowledged before they are acted on, so that none waits so long for an acknowledgement."""
QUEUE_ERRORS = (KombuError, RedisError, OSError)


@lru_cache(maxsize=8)
def celery_app(broker: str) -> Celery:
    """Returns the Celery app of a broker.

    Args:
        broker: URL of a Redis-compatible server: `redis://…`, or `redis+socket:///path` for a unix socket.
    """
    app = Celery("pairlab", broker=broker, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=False,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
    )
    return app


def wake(settings: Settings, hardware: str, count: int = 1) -> None:
    """Tells workers of a hardware queue to look for a job. Where the queue is down, the sweeper makes good for it."""
    try:
        with _connection(settings) as connection:
            for _ in range(count):
                celery_app(settings.broker).send_task(WAKE, queue=hardware, connection=connection, retry=False)
    except QUEUE_ERRORS as error:
        logger.warning("the queue does not answer (%s); jobs wait in the database until it does", error)


def waiting(settings: Settings, hardware: str) -> int | None:
    """Returns how many wake-ups wait in a hardware queue; None where the queue does not answer."""
    try:
        with _connection(settings) as connection:
            return int(_channel(connection).queue_declare(queue=hardware).message_count)
    except QUEUE_ERRORS:
        return None


def queue_answers(settings: Settings) -> bool:
    """Whether the queue server answers."""
    try:
        with _connection(settings) as connection:
            return bool(_channel(connection).client.ping())
    except QUEUE_ERRORS:
        return False


def _channel(connection: Connection) -> Any:  # noqa: ANN401  (kombu's Redis channel has no type)
    return connection.default_channel


@contextmanager
def _connection(settings: Settings) -> Iterator[Connection]:
    """Yields a connection that gives up soon: whoever asks here is a request that a user waits for."""
    options: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "max_retries": 0,
        "interval_start": 0,
    }
    app = celery_app(settings.broker)
    with app.connection_for_write(connect_timeout=CONNECT_SECONDS, transport_options=options) as connection:
        yield connection
