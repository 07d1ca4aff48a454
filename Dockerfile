# Builds the executable and leaves it alone in a small image.
FROM swift:6.2-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-dev libpq-dev libmariadb-dev zlib1g-dev pkg-config make
WORKDIR /drover
COPY . .
RUN make release

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-0 libpq5 libmariadb3 zlib1g libstdc++6 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/drover drover
COPY --from=build /drover/release/drover /usr/local/bin/drover
USER drover
VOLUME /var/lib/drover
EXPOSE 2379
ENTRYPOINT ["drover"]
CMD ["serve", "--endpoint", "sqlite:///var/lib/drover/state.db", "--listen-address", "0.0.0.0:2379"]
