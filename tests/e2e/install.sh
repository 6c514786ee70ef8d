# Run in the test's folder, in a mount namespace of its own, with ravelin.deb beside it. Prints what the test looks at.
mkdir scratch root
mount -t tmpfs scratch scratch
mkdir scratch/files scratch/work
mount -t overlay root -o lowerdir=/,upperdir=scratch/files,workdir=scratch/work root
for folder in proc sys dev; do mount --rbind /$folder root/$folder; done
mount -t tmpfs run root/run
cp ravelin.deb root/run/
interfaces() { ip -details link show | grep -E 'mtu|prog/' | tr '\n' ' '; }
inside() { chroot root env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

echo "before: $(interfaces)"
inside dpkg -i /run/ravelin.deb
echo "installed: $(interfaces)"
inside systemd-analyze verify --man=no ravelin.service
echo "enabled: $(inside systemctl is-enabled ravelin || true)"
# As it is installed it names no interface.
echo "started as it is: $(inside ravelin run >/dev/null 2>&1 || echo $?)"
inside mkdir -p /var/lib/ravelin/captures /var/log/ravelin
inside dpkg -r ravelin
echo "removed: $(interfaces)"
inside dpkg -P ravelin
inside sh -c 'for path in /etc/ravelin /etc/logrotate.d/ravelin /var/lib/ravelin /var/log/ravelin /usr/bin/ravelin; do
    [ ! -e $path ] || { echo "purged: $path is left"; exit; }; done; echo "purged: nothing is left"'
