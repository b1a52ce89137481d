# What runs the model's road in the cluster: all of `app/`, and what its commands need. Build
# context: this folder. What changes least comes first.
FROM python:3.11-slim
COPY requirements-jobs.txt /tmp/requirements.txt
# The lock lists every package with its hashes, so pip has nothing to resolve. The libraries' own
# tests, a tenth of it all, go; what evidently calls so is part of it. The rest is compiled once,
# here: see Dockerfile. One layer, since each is a copy of a gigabyte.
RUN pip install --no-cache-dir --no-deps --require-hashes --no-compile \
        --root-user-action ignore --requirement /tmp/requirements.txt \
    && packages="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && find "$packages" -name evidently -prune -o -type d -name tests -prune -exec rm -r {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"
# The home of nobody is read-only, and no library may call its makers.
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    GIT_PYTHON_REFRESH=quiet MLFLOW_DISABLE_TELEMETRY=true FEAST_USAGE=False GX_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=true
WORKDIR /opt/app
COPY . app
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "app"]
# The commit that the files above are of: there is no Git in here to ask.
ARG REVISION
ENV FERRY_COMMIT=$REVISION
LABEL org.opencontainers.image.title=jobs \
      org.opencontainers.image.revision=$REVISION
USER 10001:10001
