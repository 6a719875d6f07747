# A small image of the program, for jobs and for the gateway. The key comes from a secret or PROXYLUA_API_KEY, the journal lives
# on the volume: docs/deployment.md.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make
WORKDIR /src
COPY . .
RUN tools/packages install build deb && make deb

FROM debian:12-slim
COPY --from=build /src/build/proxylua_*.deb /tmp/
RUN apt-get update \
 && apt-get install --yes --no-install-recommends /tmp/proxylua_*.deb libpq5 libqrencode4 \
 && rm -rf /tmp/*.deb /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /var/lib/proxylua proxylua \
 && install --directory --mode=700 --owner=proxylua --group=proxylua /var/lib/proxylua
USER proxylua
ENV XDG_CONFIG_HOME=/etc XDG_STATE_HOME=/var/lib XDG_DATA_HOME=/var/lib
VOLUME /var/lib/proxylua
WORKDIR /var/lib/proxylua
ENTRYPOINT ["proxylua"]
CMD ["--help"]
