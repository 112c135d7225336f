"""For each rule of compose files: a file that breaks it, at the lines that say HERE, and one that keeps it."""

from __future__ import annotations

from collections.abc import Mapping


def services(text: str) -> str:
    """Service `app`, with what is indented by four under it."""
    return f"services:\n  app:\n    image: team/app:1.2\n{text}"


CASES: Mapping[str, tuple[str, str]] = {
    "privileged": (services("    privileged: true # HERE\n"), services("    privileged: false\n")),
    "docker_socket": (
        services("    volumes:\n      - /var/run/docker.sock:/var/run/docker.sock # HERE\n"),
        services("    volumes:\n      - sock:/var/run\n"),
    ),
    "host_namespace": (services("    pid: host # HERE\n"), services("    network_mode: none\n")),
    "host_path": (
        services("    volumes:\n      - ./data:/data\n      - type: bind # HERE\n        source: /etc\n        target: /host\n"),
        services("    volumes: ['./etc:/etc:ro', 'etc:/etc/app', '/srv/etc:/x']\n"),
    ),
    "capability": (services("    cap_add: [CHOWN,\n      CAP_SYS_ADMIN] # HERE\n"), services("    cap_add: [NET_BIND_SERVICE]\n")),
    "root_user": (services('    user: "0:0" # HERE\n'), services('    user: "1000:0"\n')),
    "new_privileges": (
        "services:\n  app: # HERE\n    image: a:1\n    security_opt: ['no-new-privileges:false']\n",
        services("    security_opt: ['no-new-privileges:true']\n"),
    ),
    "writable_root": ("services:\n  app: # HERE\n    image: a:1\n", services("    read_only: true\n")),
    "plain_secret": (
        services(
            "    environment:\n      - DB_PASSWORD=hunter2 # HERE\n      - TOKEN_TTL=60\n      - URL=postgres://u:pw@db/x # HERE\n"
            "    build:\n      args: {NPM_TOKEN: abc} # HERE\n"
        ),
        services(
            "    environment:\n      DB_PASSWORD: ${DB_PASSWORD}\n      API_KEY: ${API_KEY:?set it}\n      JWT_SECRET_FILE: /run/jwt\n"
            "      URL: postgres://u:${PW}@db/x\n      SECRET:\n"
        ),
    ),
    "secret_in_env_file": (services("    env_file:\n      - secret.env # HERE\n"), services("    env_file: [plain.env, absent.env]\n")),
    "unlocked_store": (
        (
            "services:\n  db: # HERE\n    image: postgres:16\n    environment: {POSTGRES_HOST_AUTH_METHOD: trust}\n"
            "  cache: # HERE\n    image: redis:7\n  kv: # HERE\n    build: .\n    image: bitnami/valkey:8\n"
        ),
        (
            "services:\n  db:\n    image: postgres:16\n    environment: {POSTGRES_PASSWORD_FILE: /run/p}\n"
            "  cache:\n    image: redis:7\n    command: redis-server --requirepass $$PW\n"
            "  file:\n    image: redis:7\n    command: [redis-server, /etc/redis.conf]\n"
            "  redis-exporter:\n    image: oliver006/redis_exporter:v1\n"
        ),
    ),
    "published_store": (
        "services:\n  db:\n    image: postgres:16\n    ports:\n      - '5432:5432' # HERE\n      - '${PORT:-127.0.0.1:6000}:5432'\n",
        "services:\n  db:\n    image: postgres:16\n    ports: ['127.0.0.1:5432:5432', '[::1]:5432:5432']\n",
    ),
    "published_dashboard": (
        "services:\n  g:\n    image: grafana/grafana:11\n    ports:\n      - 3000:3000 # HERE\n",
        "services:\n  g:\n    image: grafana/grafana:11\n    ports:\n      - {target: 3000, published: 3000, host_ip: 127.0.0.1}\n",
    ),
    "anonymous_dashboard": (
        "services:\n  g:\n    image: grafana/grafana:11\n    environment:\n      GF_AUTH_ANONYMOUS_ENABLED: true # HERE\n",
        "services:\n  g:\n    image: grafana/grafana:11\n    environment: {GF_AUTH_ANONYMOUS_ENABLED: 'false'}\n",
    ),
    "published_everywhere": (services("    ports:\n      - 8000:80 # HERE\n"), services("    ports: ['127.0.0.1:8000:80']\n")),
    "plain_front": (
        "services:\n  web:\n    image: nginx:1.27\n    ports:\n      - 80:80 # HERE\n",
        "services:\n  web:\n    image: nginx:1.27\n    ports: ['80:80', '443:443']\n",
    ),
    "mutable_tag": (
        "services:\n  a:\n    image: team/app # HERE\n  b:\n    image: reg:5000/team/app:${TAG:-latest} # HERE\n",
        "services:\n  a:\n    image: team/app@sha256:0123\n  b:\n    image: app:latest\n    build: .\n  c:\n    image: a:${TAG:?set it}x\n",
    ),
    "no_healthcheck": (
        "services:\n  a: # HERE\n    image: a:1\n  b:\n    image: b:1\n    healthcheck: {disable: true} # HERE\n",
        (
            "services:\n  a:\n    image: a:1\n    healthcheck: {test: curl localhost}\n    depends_on:\n"
            "      once: {condition: service_completed_successfully}\n"
            "  once:\n    image: a:1\n"
        ),
    ),
    "vain_healthcheck": (
        services("    healthcheck:\n      test: curl -f localhost || exit 0 # HERE\n"),
        services("    healthcheck:\n      test: [CMD-SHELL, curl -f localhost || exit 1]\n"),
    ),
    "no_restart": (
        "services:\n  a: # HERE\n    image: a:1\n  b:\n    image: b:1\n    restart: 'no' # HERE\n",
        services("    restart: always\n"),
    ),
    "no_memory_limit": (
        "services:\n  app: # HERE\n    image: a:1\n",
        "services:\n  a:\n    image: a:1\n    mem_limit: 1g\n  b:\n    image: b:1\n    deploy: {resources: {limits: {memory: 1G}}}\n",
    ),
    "no_cpu_limit": ("services:\n  app: # HERE\n    image: a:1\n", services("    cpus: 0.5\n")),
    "no_pids_limit": ("services:\n  app: # HERE\n    image: a:1\n", services("    pids_limit: 100\n")),
    "few_descriptors": (
        "services:\n  db: # HERE\n    image: redis:7\n",
        "services:\n  db:\n    image: redis:7\n    ulimits: {nofile: 65536}\n  app:\n    image: a:1\n",
    ),
    "no_log_rotation": (
        "services:\n  a: # HERE\n    image: a:1\n  b:\n    image: b:1\n    logging: {driver: json-file} # HERE\n",
        services("    logging: {driver: json-file, options: {max-size: 10m}}\n") + "  b:\n    image: b:1\n    logging: {driver: local}\n",
    ),
    "killed_at_once": (
        services("    stop_signal: SIGKILL # HERE\n    stop_grace_period: 0s # HERE\n"),
        services("    stop_signal: SIGQUIT\n    stop_grace_period: 10s\n"),
    ),
    "default_grace": ("services:\n  app: # HERE\n    image: a:1\n", services("    stop_grace_period: 20s\n")),
    "forgetful_store": (
        "services:\n  db:\n    image: pgvector/pgvector:pg16\n    volumes: ['/data'] # HERE\n  c: # HERE\n    image: redis:7\n",
        "services:\n  db:\n    image: postgres:16\n    volumes: ['db:/var/lib/postgresql/data']\n  m:\n    image: memcached:1\n",
    ),
    "unknown_dependency": (services("    depends_on:\n      - dbx # HERE\n"), services("    depends_on: [b]\n") + "  b:\n    image: b:1\n"),
    "unready_dependency": (
        services("    depends_on:\n      - db # HERE\n") + "  db:\n    image: postgres:16\n",
        services("    depends_on:\n      db: {condition: service_healthy}\n") + "  db:\n    image: postgres:16\n",
    ),
    "waits_for_ever": (
        services("    depends_on:\n      b: {condition: service_healthy} # HERE\n")
        + "  b:\n    image: b:1\n    healthcheck: {test: [NONE]}\n",
        services("    depends_on:\n      b: {condition: service_healthy}\n") + "  b:\n    image: b:1\n    healthcheck: {interval: 5s}\n",
    ),
    "replicas_collide": (
        services("    deploy: {replicas: 2}\n    ports:\n      - 127.0.0.1:8000:80 # HERE\n"),
        services("    deploy: {replicas: 2}\n    ports: ['127.0.0.1:8000-8001:80', '80']\n"),
    ),
    "single_replica": (
        "services:\n  app: # HERE\n    image: a:1\n",
        "services:\n  a:\n    image: a:1\n    scale: 2\n  b-1:\n    image: b:1\n  b-2:\n    image: b:1\n",
    ),
    "single_store": (
        "services:\n  db: # HERE\n    image: postgres:16\n",
        "services:\n  db:\n    image: postgres:16\n  db-2:\n    image: postgres:16\n",
    ),
}
