#!/bin/bash
# Steps 1 to 7 of docs/install.md, whose commands these are: from a bare Debian to the running site. It stops at the first
# line that fails, and may be started again. A test holds both together.
set -o errexit -o nounset -o pipefail
: "${host:?export host=petition.example.org}" "${me:?export me=you@example.org}" "${mail:?export mail=smtps://user:password@host:587}"

# 1. Packages
export DEBIAN_FRONTEND=noninteractive
apt update
apt install --yes certbot curl dbus libfribidi0 libnginx-mod-http-brotli-static nano nginx openssl postgresql \
    python3-certbot-nginx python3-venv rsync ufw unattended-upgrades
printf 'APT::Periodic::%s "1";\n' Update-Package-Lists Unattended-Upgrade > /etc/apt/apt.conf.d/20auto-upgrades
for port in $(sshd -T 2> /dev/null | awk '$1 == "port" { print $2 }') 80 443; do ufw allow "$port/tcp"; done
ufw --force enable
swapoff --all
sed -i '/^[^#].*\sswap\s/ s/^/#/' /etc/fstab

# 2. Who runs the code
cd /srv/petition
python3 -m venv .venv
.venv/bin/pip install --require-hashes --only-binary :all: -r deploy/requirements.txt
.venv/bin/python manage.py collectstatic --noinput
adduser --system --group --no-create-home --home /nonexistent petition
adduser --system --group --no-create-home --home /nonexistent petition-worker

# 3. PostgreSQL
postgresql=$(pg_lsclusters --no-header | awk '$2 == "main" { print $1 }' | tail --lines=1)    # 15 or 17
cp deploy/postgresql.conf "/etc/postgresql/$postgresql/main/conf.d/petition.conf"
systemctl restart postgresql
if ! runuser -u postgres -- psql --list --tuples-only | grep --quiet '^ petition '; then
    runuser -u postgres -- createuser --createdb petition
    runuser -u postgres -- createuser --createdb --role=petition petition-worker
    runuser -u postgres -- createdb --owner=petition --template=template0 --encoding=UTF8 --locale=C.UTF-8 petition
fi
runuser -u postgres -- psql --command='GRANT pg_checkpoint TO "petition-worker"'
runuser -u postgres -- psql petition --command='GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "petition-worker"'

# 4. Settings and keys
install --directory --mode=0700 /etc/petition
(umask 077; cp --no-clobber deploy/petition.env deploy/worker.env /etc/petition/)
sed -i "s/petition\.example\.org/$host/" /etc/petition/petition.env
for name in SECRET_KEY EMAIL_DIGEST_KEY; do
    sed -i "s/^$name=$/$name=$(openssl rand -hex 32)/" /etc/petition/petition.env /etc/petition/worker.env
done
sed -i "s|^EMAIL_URL=$|EMAIL_URL=${mail//&/\\&}|" /etc/petition/petition.env

# 5. Tables and pages
systemctl start dbus.socket    # runs already, unless dbus was installed just now
deploy/manage migrate
deploy/manage load_campaign
deploy/manage check --deploy --database default

# 6. Web server and workers
cp --recursive deploy/systemd/. /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now petition-web petition-worker@1 petition-worker@2
systemctl --no-pager status petition-web petition-worker@1 petition-worker@2

# 7. Certificate and nginx
if [ ! -e "/etc/letsencrypt/live/$host/fullchain.pem" ]; then
    certbot certonly --nginx --key-type ecdsa --non-interactive --agree-tos --no-eff-email --email "$me" --domain "$host"
fi
mkdir --parents /var/cache/nginx
cp deploy/nginx-site.conf /etc/nginx/snippets/petition-site.conf
sed "s/petition\.example\.org/$host/; s/example\.onion/${onion:-example.onion}/" deploy/nginx.conf > /etc/nginx/sites-available/petition
ln --symbolic --force ../sites-available/petition /etc/nginx/sites-enabled/petition
rm --force /etc/nginx/sites-enabled/default
sed -i 's/worker_connections .*;/worker_connections 8192;/; s/access_log .*;/access_log off;/' /etc/nginx/nginx.conf
grep --quiet worker_rlimit_nofile /etc/nginx/nginx.conf || sed -i '1i worker_rlimit_nofile 20000;' /etc/nginx/nginx.conf
nginx -t
systemctl restart nginx
