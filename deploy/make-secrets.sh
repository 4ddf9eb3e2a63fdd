#!/usr/bin/env bash
# Makes what docker-compose.yml reads from deploy/secrets, once:
#
#   deploy/make-secrets.sh          passwords for RabbitMQ and Redis; you add salesforce and mos_api_key
#   deploy/make-secrets.sh --demo   the same, with the keys of the stand-ins (compose profile `demo`)
#
# Every service has a RabbitMQ user of its own that can do what it must and nothing else. RabbitMQ and
# Redis are given hashes, never the passwords. What is there already is left alone: to change the
# passwords, delete deploy/secrets/rabbitmq_* and redis_*, run this again and restart all containers;
# to change the console's token, delete console_token* and do the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

FOLDER=secrets
VHOST=mosync

demo=
case ${1:-} in
"") ;;
--demo) demo=yes ;;
*)
    echo "make-secrets.sh: unknown argument \`$1\`; only --demo is known" >&2
    exit 2
    ;;
esac
command -v openssl >/dev/null || {
    echo "make-secrets.sh: openssl is missing; please install it" >&2
    exit 2
}

# The folder keeps other people of this machine out; the files must be readable to the users in the
# containers.
umask 022
mkdir -p "$FOLDER"
chmod 700 "$FOLDER"

password() { openssl rand -hex 24; }

# RabbitMQ's form: base64 of a salt of four bytes and the SHA-256 of salt and password.
rabbitmq_hash() {
    local salt
    salt=$(openssl rand -hex 4)
    local bytes="\\x${salt:0:2}\\x${salt:2:2}\\x${salt:4:2}\\x${salt:6:2}"
    {
        printf '%b' "$bytes"
        { printf '%b' "$bytes"; printf '%s' "$1"; } | openssl dgst -sha256 -binary
    } | openssl base64 -A
}

users=
permissions=
comma=

# NAME CONFIGURE WRITE READ: a user with these rights, and the address for it.
rabbitmq_user() {
    local secret
    secret=$(password)
    users+="$comma
    {\"name\": \"$1\", \"password_hash\": \"$(rabbitmq_hash "$secret")\", \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"tags\": []}"
    permissions+="$comma
    {\"user\": \"$1\", \"vhost\": \"$VHOST\", \"configure\": \"$2\", \"write\": \"$3\", \"read\": \"$4\"}"
    comma=,
    printf 'amqp://%s:%s@rabbitmq:5672/%s' "$1" "$secret" "$VHOST" >"$FOLDER/rabbitmq_url_$1"
}

if [ -e "$FOLDER/rabbitmq_definitions" ]; then
    echo "$FOLDER/rabbitmq_definitions and its users are there already and stay as they are"
else
    worker='^(mosync|dead|retry\\..*)$'
    rabbitmq_user topology '.*' '.*' '.*'
    rabbitmq_user listener '^$' '^mosync$' '^$'
    rabbitmq_user filter '^$' "$worker" '^filter\\.(live|bulk)$'
    rabbitmq_user permission '^$' "$worker" '^permission\\.(live|bulk)$'
    rabbitmq_user loader '^$' "$worker" '^load\\.(live|bulk)$'
    # Looks at dead messages, and sends them back.
    rabbitmq_user console '^$' '^mosync$' '^dead$'
    cat >"$FOLDER/rabbitmq_definitions.new" <<END
{
  "vhosts": [{"name": "$VHOST"}],
  "users": [$users
  ],
  "permissions": [$permissions
  ]
}
END
    mv "$FOLDER/rabbitmq_definitions.new" "$FOLDER/rabbitmq_definitions"
    echo "made RabbitMQ's users"
fi

if [ -e "$FOLDER/redis_users" ]; then
    echo "$FOLDER/redis_users is there already and stays as it is"
else
    secret=$(password)
    printf 'redis://mosync:%s@redis:6379/0' "$secret" >"$FOLDER/redis_url"
    {
        echo "user default off"
        printf 'user mosync on #%s ~mosync:* resetchannels +@all -@admin -@dangerous +config|get +info\n' \
            "$(printf '%s' "$secret" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
    } >"$FOLDER/redis_users.new"
    mv "$FOLDER/redis_users.new" "$FOLDER/redis_users"
    echo "made Redis's user"
fi

# The console knows the hash alone; the token is for whoever calls its API.
if [ -e "$FOLDER/console_token_sha256" ]; then
    echo "$FOLDER/console_token_sha256 is there already and stays as it is"
else
    secret=$(openssl rand -hex 32)
    (umask 077 && printf '%s' "$secret" >"$FOLDER/console_token")
    printf '%s' "$secret" | openssl dgst -sha256 -r | cut -d ' ' -f 1 >"$FOLDER/console_token_sha256.new"
    mv "$FOLDER/console_token_sha256.new" "$FOLDER/console_token_sha256"
    echo "made the console's token: deploy/$FOLDER/console_token, for whoever calls its API"
fi

# Known to everybody: the defaults of `mosync fake salesforce` and `mosync fake mos`.
if [ -n "$demo" ]; then
    [ -e "$FOLDER/salesforce" ] || printf 'fake-client-secret' >"$FOLDER/salesforce"
    [ -e "$FOLDER/mos_api_key" ] || printf 'mos-demo-key' >"$FOLDER/mos_api_key"
fi

[ -e "$FOLDER/rabbitmq_url_console" ] ||
    echo "the console has no RabbitMQ user yet: delete deploy/$FOLDER/rabbitmq_*, run this again and restart all containers"
for file in salesforce mos_api_key; do
    [ -e "$FOLDER/$file" ] || echo "still missing: deploy/$FOLDER/$file (see README.md, Deployment)"
done
