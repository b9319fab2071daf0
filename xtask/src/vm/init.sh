#!/bin/busybox sh
# What the first program of a machine does. Lines that begin with `vm:` are read by the task; the last one is its result.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /var/lib
/bin/busybox --install -s /bin
export PATH=/tests:/bin PORTREEVE_SEQUENCES=@SEQUENCES@
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
ulimit -l unlimited
code=0
echo # behind what the firmware has left on the line
echo "vm: kernel $(uname -r)"
uname -v
for module in @MODULES@; do insmod /modules/$module.ko || code=1; done

# An agent enforces between two hosts, by either hook.
ip() { /tests/ip "$@"; } # busybox takes its own first
ip link set lo up
ip netns add peer
ip link add enp2s0 type veth peer name wire netns peer
ip address add 192.0.2.10/24 dev enp2s0
ip link set enp2s0 up
ip netns exec peer ip address add 192.0.2.20/24 dev wire
ip netns exec peer ip link set wire up
for port in 443 8080; do traffic serve 0.0.0.0:$port --seconds 3600 >/dev/null & done
reaches() { ip netns exec peer traffic reach 192.0.2.10:$1 --patience 5000 >/dev/null 2>&1; }
for hook in @HOOKS@; do
  echo "vm: hook $hook"
  reaches 8080 || { echo "nothing answers before anything is enforced"; code=1; }
  portreeve apply /tests/$hook.toml 2>&1 || code=1
  portreeve status 2>&1 || code=1
  echo "vm: status $(portreeve status --json | tr -d '\n')"
  reaches 443 || { echo "what is documented does not pass"; code=1; }
  reaches 8080 && { echo "what nothing documents passes"; code=1; }
  portreeve drops 2>&1 || code=1
  portreeve detach 2>&1 || code=1
done
# Linux before 6.13 looks for the names of new interfaces here too, wherever they are to be.
ip link delete enp2s0

# Every case, by programs that are run and by such that are attached; and the model's sequences. Pages are filled by a
# program in Python, which is not here, and buffers of chosen lengths came with Linux 6.18.
attached --nocapture --skip headers_in 2>&1 || code=1
model --nocapture 2>&1 || code=1
echo "vm: end $code"
poweroff -f
