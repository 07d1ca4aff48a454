# Builds the executable and leaves it alone in a small image.
FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-dev libpq-dev libmariadb-dev zlib1g-dev pkg-config make
WORKDIR /drover
COPY . .
RUN make release

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-0 libpq5 libmariadb3 zlib1g libstdc++6 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 999 --create-home --home-dir /var/lib/drover drover
COPY --from=build /drover/release/drover /usr/local/bin/drover
# By its number, so that who forbids root can tell.
USER 999
WORKDIR /var/lib/drover
# Defaults by kine's names, which our own come before, so that whoever names another database by either is heeded; flags
# come before both.
ENV KINE_ENDPOINT=sqlite:///var/lib/drover/state.db KINE_LISTEN_ADDRESS=0.0.0.0:2379
VOLUME /var/lib/drover
EXPOSE 2379
ENTRYPOINT ["drover"]
CMD ["serve"]
