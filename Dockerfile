# The server in a container, as a user without rights, on a root file system that may be read-only:
#   docker build --tag positions-mcp .
#   docker run --rm --interactive --read-only --tmpfs /tmp --volume positions:/data positions-mcp
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY config config
COPY prompts prompts
RUN python -m venv /program \
 && /program/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[postgres]"

FROM python:3.13.9-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /data positions \
 && install --directory --owner positions --mode 0700 /data
COPY --from=build /program /program
COPY LICENSE /LICENSE
ENV PATH=/program/bin:$PATH HOME=/data PYTHONDONTWRITEBYTECODE=1 POSITIONS_MCP_DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
# Installation, settings, store and clock. It sends nothing.
HEALTHCHECK --interval=60s --timeout=30s --start-period=30s CMD ["positions-mcp", "doctor"]
ENTRYPOINT ["positions-mcp"]
CMD ["serve"]
