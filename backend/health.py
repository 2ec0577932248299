"""Whether the API is alive, and whether what it needs answers."""

import logging

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from backend.context import Context, CurrentContext
from backend.errors import UnavailableError
from backend.jobs.queue import queue_answers

logger = logging.getLogger(__name__)
router = APIRouter(tags=["system"])


class Health(BaseModel):
    """All is well; otherwise the answer is a problem document."""

    status: str = "ok"


@router.get("/healthz", summary="Is the API alive?")
def get_health() -> Health:
    """Answers as soon as the process serves requests, whatever else is down."""
    return Health()


@router.get("/readyz", summary="Does everything the API needs answer?")
def get_readiness(context: CurrentContext) -> Health:
    """Asks database and queue server; a 503 says which of them does not answer."""
    silent = [
        name
        for name, answers in (("database", _database_answers(context)), ("queue", _queue_answers(context)))
        if not answers
    ]
    if silent:
        raise UnavailableError(
            f"the {' and the '.join(silent)} {'do' if len(silent) > 1 else 'does'} not answer", parts=silent
        )
    return Health()


def _queue_answers(context: Context) -> bool:
    return queue_answers(context.settings)


def _database_answers(context: Context) -> bool:
    try:
        with context.database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        logger.exception("the database does not answer")
        return False
    return True
