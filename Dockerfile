# docker build -t scarcebench .
# On an image of CUDA: --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04. torch brings its own
# libraries of CUDA, so that a base with the driver's variables is enough.
ARG BASE=python:3.12-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/scarcebench
ENV PATH=/opt/scarcebench/bin:$PATH

WORKDIR /scarcebench
# Most of the image is torch, which a changed line of code must not install again.
COPY constraints.txt .
RUN pip install --no-cache-dir --constraint constraints.txt torch
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[dask,slurm]'
# Under --user git would not tell the commit of files that root owns.
RUN git config --system --add safe.directory /scarcebench

# cuBLAS needs the first for results that do not differ from run to run; libraries keep caches in
# HOME, which a user without a name does not have.
ENV CUBLAS_WORKSPACE_CONFIG=:4096:8 \
    HOME=/tmp
ENTRYPOINT ["python", "run_bench.py"]
CMD ["--help"]
