# One image per role, each with that role's extra alone:
#   docker build --target api|worker|worker-cpu|ui .

FROM python:3.12.14-slim-bookworm AS base
# The id is fixed so that volumes keep their owner from image to image.
RUN groupadd --gid 10001 pairlab \
    && useradd --uid 10001 --gid pairlab --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pairlab \
    && install --directory --owner=pairlab --group=pairlab /var/lib/pairlab

# A wheel with the requirements and no code: installed dependencies stay cached while only code changes.
FROM base AS requirements
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY pyproject.toml ./
RUN touch README.md && mkdir pairlab backend worker frontend experiments \
    && pip wheel --no-deps --wheel-dir /requirements .

FROM requirements AS wheel
COPY README.md LICENSE ./
COPY pairlab pairlab
COPY backend backend
COPY worker worker
COPY frontend frontend
COPY experiments experiments
RUN pip wheel --no-deps --wheel-dir /wheel .

FROM requirements AS venv
RUN python -m venv --without-pip /opt/venv
# Nothing is compiled: there is no compiler here, and none is needed.
ENV PIP_PYTHON=/opt/venv/bin/python PIP_ONLY_BINARY=:all:

FROM venv AS api-venv
RUN pip install "$(echo /requirements/*.whl)[backend]"
RUN --mount=from=wheel,source=/wheel,target=/wheel pip install --no-deps --force-reinstall /wheel/*.whl

FROM venv AS worker-venv
RUN pip install "$(echo /requirements/*.whl)[worker]"
RUN --mount=from=wheel,source=/wheel,target=/wheel pip install --no-deps --force-reinstall /wheel/*.whl

FROM venv AS worker-cpu-venv
# PyPI's torch brings gigabytes of CUDA along; the CPU wheels have an index of their own. Where pyproject.toml asks for
# more than that index has, the next step would bring CUDA back without a word: the build fails instead.
# hadolint ignore=DL3013
RUN pip install --index-url https://download.pytorch.org/whl/cpu torch torchvision
RUN pip install "$(echo /requirements/*.whl)[worker]" \
    && /opt/venv/bin/python -c "import torch; raise SystemExit(torch.version.cuda)"
RUN --mount=from=wheel,source=/wheel,target=/wheel pip install --no-deps --force-reinstall /wheel/*.whl

FROM venv AS ui-venv
RUN pip install "$(echo /requirements/*.whl)[frontend]"
RUN --mount=from=wheel,source=/wheel,target=/wheel pip install --no-deps --force-reinstall /wheel/*.whl

FROM base AS runtime
RUN pip uninstall --yes pip
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    PAIRLAB_HOME=/var/lib/pairlab
USER 10001:10001
WORKDIR /var/lib/pairlab

FROM runtime AS api
COPY --from=api-venv /opt/venv /opt/venv
EXPOSE 8750
# http.client heeds no proxy, unlike urllib: an engine may hand its own to every container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8750, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["uvicorn", "backend.app:create_app", "--factory", "--host", "0.0.0.0", "--port", "8750", \
    "--timeout-graceful-shutdown", "10", "--no-server-header", "--no-access-log", "--no-use-colors"]

FROM runtime AS worker-runtime
# Workers write a heartbeat into the database, under the name of their host: that one is alive, not just there.
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 CMD ["python", "-c", \
    "import socket\nfrom backend.database import Database\nfrom backend.jobs.workers import connected\nfrom backend.settings import Settings\nwith Database(Settings().database).read() as session:\n    raise SystemExit(not any(row.name.startswith(socket.gethostname() + '-') for row in connected(session)))"]
ENTRYPOINT ["celery", "-A", "worker.app", "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]

FROM worker-runtime AS worker
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=worker-venv /opt/venv /opt/venv

FROM worker-runtime AS worker-cpu
COPY --from=worker-cpu-venv /opt/venv /opt/venv

FROM runtime AS ui
COPY --from=ui-venv /opt/venv /opt/venv
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8501, timeout=4); c.request('GET', '/_stcore/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["streamlit", "run", "/opt/venv/lib/python3.12/site-packages/frontend/asgi.py", \
    "--server.headless", "true", "--server.address", "0.0.0.0", "--server.port", "8501", \
    "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
