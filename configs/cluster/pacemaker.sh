#!/bin/sh
# Makes the resources, once, on one of the machines: Ringway on both, the address where Ringway is healthy.
# Change the address; with fencing take the first line out and configure stonith.
set -eu
pcs property set stonith-enabled=false
pcs property set no-quorum-policy=ignore
pcs resource create ringway ocf:ringway:ringway config=/etc/ringway/ringway.toml \
    op monitor interval=5s timeout=10s op start timeout=30s op stop timeout=60s \
    meta migration-threshold=3 failure-timeout=60s clone interleave=true
pcs resource create edge-address ocf:heartbeat:IPaddr2 ip=192.0.2.10 cidr_netmask=24 \
    op monitor interval=2s timeout=5s meta resource-stickiness=100
pcs constraint colocation add edge-address with ringway-clone INFINITY
pcs constraint order ringway-clone then edge-address
