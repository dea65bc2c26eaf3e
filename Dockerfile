# eaves and, for the lab of docker-compose.yml, origins to try it on and proxies on the way to them.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git among it, so that the program knows its version.
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -tags sqlite_fts5 -o /out/eaves ./cmd/eaves \
 && CGO_ENABLED=0 go build -trimpath -o /out/go-httpbin github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin

FROM debian:bookworm-slim AS origin
COPY --from=build /out/go-httpbin /usr/local/bin/go-httpbin
USER nobody
EXPOSE 8080
ENTRYPOINT ["go-httpbin", "-host", "0.0.0.0", "-port", "8080"]

# The parent proxies.
FROM debian:bookworm-slim AS squid
RUN apt-get update \
 && apt-get install -y --no-install-recommends squid-openssl \
 && rm -rf /var/lib/apt/lists/*
COPY docker /etc/squid/lab
USER proxy
EXPOSE 3128
ENTRYPOINT ["squid", "-N", "-f"]
CMD ["/etc/squid/lab/corp.conf"]

# The last stage is what a plain "docker build ." makes.
FROM debian:bookworm-slim AS eaves
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home eaves \
 && install -d -o eaves -g eaves -m 0700 /data /lab
COPY --from=build /out/eaves /usr/local/bin/eaves
USER eaves
# Within a container every interface is the container's own; which of them the world sees, its ports say.
ENV EAVES_DATA=/data EAVES_LISTEN=0.0.0.0:8484 EAVES_CONSOLE=0.0.0.0:8485
VOLUME /data
EXPOSE 8484 8485
STOPSIGNAL SIGTERM
ENTRYPOINT ["eaves"]
CMD ["run"]
