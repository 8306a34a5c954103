FROM python:3.13.14-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /src
COPY pyproject.toml requirements.lock ./
# The lock file also has what only developers need: it says which versions and hashes, the project
# says what. The code comes after it, so that a change leaves this layer, the large one, as it was.
RUN awk '/^[^ ]/ {keep = /^uv==/} keep' requirements.lock > uv.lock \
    && pip install --require-hashes --requirement uv.lock \
    && uv venv /opt/taximeter \
    && uv pip install --python /opt/taximeter/bin/python \
        --constraint requirements.lock \
        --extra grpc --extra postgres --extra reconcile --requirement pyproject.toml
COPY README.md LICENSE ./
COPY collector collector
COPY analysis analysis
COPY alerts alerts
COPY api api
COPY dashboards dashboards
RUN uv pip install --python /opt/taximeter/bin/python \
        --no-deps --build-constraint requirements.lock .

FROM python:3.13.14-slim-trixie
RUN useradd --system --uid 10001 --user-group --no-create-home taximeter \
    && install --directory --owner taximeter --group taximeter /var/lib/taximeter
COPY --from=build /opt/taximeter /opt/taximeter
ENV PATH=/opt/taximeter/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TAXIMETER_SERVER_DATA_DIR=/var/lib/taximeter
USER 10001
WORKDIR /var/lib/taximeter
VOLUME /var/lib/taximeter
# Other than loopback only with TAXIMETER_SERVER_HOST and both tokens set, as on any machine.
EXPOSE 8787 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('TAXIMETER_SERVER_PORT', 8787), timeout=3)"]
ENTRYPOINT ["taximeter"]
CMD ["serve"]
