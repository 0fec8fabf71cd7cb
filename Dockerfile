# All that spikeloop needs: docker build -t spikeloop . && docker run --rm -it spikeloop make sim
FROM python:3.12-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make perl git ccache iverilog \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /spikeloop
COPY . .
RUN make install

CMD ["bash"]
