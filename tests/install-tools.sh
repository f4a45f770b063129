#!/usr/bin/env bash
# Installs the Debian packages that the tests drive: a browser, a real directory server, a real syslog server, what the examples of the API need.
set -euo pipefail

missing=()
[ -x /usr/bin/chromium ] || missing+=(chromium)
[ -x /usr/sbin/slapd ] || missing+=(slapd)
[ -x /usr/bin/ldapadd ] || missing+=(ldap-utils)
[ -x /usr/sbin/rsyslogd ] || missing+=(rsyslog)
compgen -G "/usr/lib/*/rsyslog/lmnsd_ossl.so" >/dev/null || missing+=(rsyslog-openssl)
command -v curl >/dev/null || missing+=(curl)
command -v jq >/dev/null || missing+=(jq)
# not grep -q: it ends at the first line, fc-list dies of the broken pipe, and pipefail takes that for "no font"
fc-list 2>/dev/null | grep -i noto >/dev/null || missing+=(fontconfig fonts-noto-core)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "The tests need Debian packages that are not here. Run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing the tests' Debian packages: ${missing[*]} …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# their own services are not wanted: the tests start servers of theirs in folders of theirs
{ apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 \
  || { tail -30 "$log" >&2; exit 1; }
