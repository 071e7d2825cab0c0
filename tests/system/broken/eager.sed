# What has come in from the client and was not read does not count.
s/\*(volatile __u32 \*)&client->rcv_nxt != read\[0\] ||/read[0] == 0 ||/
s/client->bytes_received != splice->handshake.received ||/splice->handshake.received == 0 ||/
