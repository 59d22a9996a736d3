# docker build -t scarcebench .
# With CUDA: --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04; torch brings its own libraries.
ARG BASE=python:3.12-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/scarcebench
ENV PATH=/opt/scarcebench/bin:$PATH

WORKDIR /scarcebench
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[dask,slurm]'

# cuBLAS needs it for results that do not differ from run to run.
ENV CUBLAS_WORKSPACE_CONFIG=:4096:8
ENTRYPOINT ["python", "run_bench.py"]
CMD ["--help"]
