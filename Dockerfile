# The web application is built by Node, everything runs in Python's slim image as a user without rights.
FROM node:20-slim AS frontend
WORKDIR /src
COPY frontend/package.json frontend/package-lock.json frontend/
RUN npm --prefix frontend ci --no-audit --no-fund
COPY schema.graphql ./
COPY widgets widgets
COPY frontend frontend
RUN npm --prefix frontend run build

FROM python:3.12-slim
RUN useradd --system --create-home --home-dir /var/lib/okno okno
WORKDIR /srv/okno
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY backend backend
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
COPY config config
COPY policies policies
COPY widgets widgets
COPY --from=frontend /src/frontend/dist frontend/dist
# config/okno.toml says development, in which anybody signs in as anybody: nobody gets that by forgetting a variable
ENV OKNO_MODE=production OKNO_DATA_DIR=/var/lib/okno OKNO_SANDBOX=false PORT=8000 HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER okno
EXPOSE 8000
CMD ["okno", "api"]
