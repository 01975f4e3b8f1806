# One image for every role: `docker run sensorium sensorium ROLE`. Validated with a linter, not run: see docs/operating.md.
FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --require-hashes -r requirements.lock
COPY schemas schemas
COPY storage storage
COPY connectors connectors
COPY streams streams
RUN pip install --no-deps . && useradd --system --uid 10001 sensorium
USER 10001
CMD ["sensorium", "--help"]
