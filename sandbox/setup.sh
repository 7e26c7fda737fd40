# Runs as root in the setup's container: makes the virtual environment, then runs the project's own setup in it.
# The room is a tmpfs that holds what came on standard input; nothing of it gets into the image.
set -e
umask 022
room=/run/greenward
prefix=/opt/greenward
. "$room/variables.sh"

if command -v python3 >/dev/null; then
    python3 -m venv $venv_options "$prefix"
    site=$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cat "$room/greenward.pth" >"$site/greenward.pth"
    if [ -n "$venv_options" ]; then
        # The image's python3 may live in a virtual environment of its own, which --system-site-packages does not show.
        python3 -c 'import site, sys
for path in site.getsitepackages() if sys.prefix != sys.base_prefix else ():
    print("import site; site.addsitedir(%r)" % path)' >"$site/greenward-image.pth"
    fi
fi

export HOME=/root VIRTUAL_ENV="$prefix" PATH="$prefix/bin:$PATH"
cd "$room/files"
sh -e "$room/setup.sh"

cd /
rm -rf /root/.cache /tmp/* /var/tmp/* /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
[ ! -d "$prefix" ] || chmod -R a+rX "$prefix"
printf '\n%s\n' "$end"
