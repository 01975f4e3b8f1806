# One image for every role: `docker run sensorium sensorium ROLE`. Checked with a linter, not run: see docs/operating.md.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.lock build.lock pyproject.toml README.md ./
RUN pip install --require-hashes -r build.lock \
 && uv pip install --system --no-cache --require-hashes -c requirements.lock -r pyproject.toml
COPY schemas schemas
COPY storage storage
COPY connectors connectors
COPY streams streams
RUN uv pip install --system --no-cache --no-deps --no-build-isolation . && useradd --system --uid 10001 sensorium
USER 10001
CMD ["sensorium", "--help"]
