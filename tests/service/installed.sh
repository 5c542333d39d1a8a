# Sourced: a Debian of its own with the project in it, and what looks at it from inside. The caller
# sets SUITE, BUILD (where file systems are kept), ROOT and OUT, and brings `boot` and `end`.

debian_base() { # [,PACKAGE... [ARCH]]: into $BUILD/base, once
    [ ! -e "$BUILD/base.complete" ] || return 0
    echo "a Debian"
    rm -rf "$BUILD/base"
    new_debian --variant=minbase ${2:+--architectures="$2"} \
        --include=systemd,systemd-sysv,dbus,libnss-systemd,libbpf1,udev,python3,python3-venv,mosquitto${1:-} \
        "$SUITE" "$BUILD/base"
    touch "$BUILD/base.complete"
}

install_project() { # as a user would: the locked wheels, units, users, folders, rules
    echo "the project in it"
    own_python="$PWD/.venv/bin/python"
    wheels_python="${WHEELS_PYTHON:-$own_python}"
    wheels="$BUILD/wheels"
    rm -rf "$wheels" "$ROOT"
    version='import sys; print("%d.%d" % sys.version_info[:2])'
    python_version=$(chroot "$BUILD/base" python3 -c "$version")
    pip() { "$1" -m pip --quiet --disable-pip-version-check "${@:2}"; }
    # The lock's markers are read by the interpreter that downloads, so it must be of that version.
    [ "$("$wheels_python" -c "$version")" = "$python_version" ] ||
        { echo "$SUITE has Python $python_version: set WHEELS_PYTHON to such a one" >&2; exit 1; }
    pip "$wheels_python" download --no-deps --require-hashes --only-binary=:all: \
        --dest "$wheels" -r requirements.lock
    pip "$own_python" wheel --no-deps --no-build-isolation --wheel-dir "$wheels" .
    cp -a "$BUILD/base" "$ROOT"
    cp -a "$wheels" requirements.lock "$ROOT/opt/"
    chroot "$ROOT" /bin/bash -euc '
        python3 -m venv /opt/edge-agent
        pip="/opt/edge-agent/bin/python -m pip --quiet --disable-pip-version-check --no-cache-dir"
        $pip install --no-index --find-links /opt/wheels --no-deps --require-hashes -r /opt/requirements.lock
        $pip install --no-index --no-deps /opt/wheels/edge_autonomy-*.whl
    '
    install -D -m 644 -t "$ROOT/etc/systemd/system" deploy/systemd/*.service
    install -D -m 644 -t "$ROOT/etc/sysusers.d" deploy/sysusers.d/edge-agent.conf
    install -D -m 644 -t "$ROOT/etc/tmpfiles.d" deploy/tmpfiles.d/edge-agent.conf
    install -D -m 644 -t "$ROOT/etc/udev/rules.d" deploy/udev/70-edge-agent.rules
    install -D -m 644 -t "$ROOT/etc/modules-load.d" deploy/modules-load.d/edge-agent.conf
    chroot "$ROOT" systemd-sysusers
}

newest_package() { # ARCH
    ls -t build/deb/edge-autonomy_*_"$1".deb | head -n 1
}

install_package() { # ARCH: the newest in build/deb, as dpkg does it
    echo "the package in it"
    rm -rf "$ROOT"
    cp -a "$BUILD/base" "$ROOT"
    cp "$(newest_package "$1")" "$ROOT/opt/edge-autonomy.deb"
    DEBIAN_FRONTEND=noninteractive chroot "$ROOT" dpkg --install /opt/edge-autonomy.deb >"$BUILD/install.log" 2>&1 ||
        { cat "$BUILD/install.log" >&2; fail "dpkg --install"; }
}

place_checks() { # UNIT-FILE: what looks at it, beside it
    mkdir -p "$ROOT/opt/checks" "$ROOT/out"
    git ls-files -z --cached --others --exclude-standard tests bench |
        tar --null -T - -cf - | tar -C "$ROOT/opt/checks" -xf -
    install -m 644 "$1" "$ROOT/etc/systemd/system/"
    rm -rf "$OUT"
    mkdir -p "$OUT"
}

until_gone_or() { # FILE: waits, for a bounded time, until it appears or what was booted has ended
    for _ in $(seq "${LIMIT_S:-900}"); do
        { [ -e "$1" ] || ! kill -0 "$running" 2>/dev/null; } && return
        sleep 1
    done
}

check_both_boots() { # UNIT: which leaves in-mid-run at the end of the first, and done
    trap end EXIT
    boot "$1"
    until_gone_or "$OUT/in-mid-run"
    end # as a power cut does
    boot "$1"
    until_gone_or "$OUT/done"
    end
    verdict
}

verdict() { # prints what was found; fails when anything does not hold
    cat "$OUT/checks.log"
    failed=$(grep -c '^FAIL' "$OUT/checks.log" || true)
    if [ "$failed" -ne 0 ] || [ ! -e "$OUT/done" ]; then
        echo "FAILED; what the system wrote is in $OUT" >&2
        return 1
    fi
    echo "$(grep -c '^ok' "$OUT/checks.log") checks passed"
}
