# Run by mmdebstrap when all packages are installed. $1 is the root of the virtual machine's file system, $KEY the file with the public key
# that root may log in with.
set -eu
cd "$1"

echo vm >etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 vm\n' >etc/hosts
# Where it is administered from. What else it does on a network is for the tests to say.
cat >etc/systemd/network/eth0.network <<'NETWORK'
[Match]
Name=eth0
[Network]
Address=10.8.0.1/24
Address=fd08::1/64
NETWORK
chroot . systemctl --quiet enable systemd-networkd
install -D -m 600 "$KEY" root/.ssh/authorized_keys

# The journal outlives a reboot, and nothing begins by itself that takes processor time from the tests.
mkdir -p var/log/journal
chroot . systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer getty@tty1.service
rm -rf usr/share/doc/* usr/share/locale/* usr/share/man/*
