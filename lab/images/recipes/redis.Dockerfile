FROM scratch AS debian
ADD rootfs.tar /
# The tag says which version this is; Debian's must be the same.
RUN redis-server --version | grep --quiet " v=7.0.15 " \
    && mkdir /files \
    && for program in redis-server redis-cli; do \
        echo /usr/bin/$program; ldd /usr/bin/$program | grep --only-matching "/[^ ]*"; \
    done | sort --unique | xargs cp --parents --dereference --target-directory=/files

FROM scratch
COPY --from=debian /files /
COPY busybox /bin/
COPY busybox /bin/sh
COPY redis.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin REDIS_VERSION=7.0.15
WORKDIR /data
VOLUME ["/data"]
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
