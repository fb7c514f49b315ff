# The service: no torch, not root, one health check.
#   docker build -t voc . && docker run -p 8080:8080 -e VOC_DATABASE_URL=... -e VOC_API_KEY=... voc
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /app/venv
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /app/venv/bin/pip install --no-cache-dir '.[serve]'

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 voc
WORKDIR /app
COPY --from=build /app/venv /app/venv
COPY api ./api
COPY models ./models
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1 VOC_HOST=0.0.0.0 VOC_PORT=8080 VOC_MODELS=/app/models
USER voc
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["python", "-m", "api"]
