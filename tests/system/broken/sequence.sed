# Numbers of the sender stay as they are.
s/tcp->seq = bpf_htonl(bpf_ntohl(tcp->seq) + way->seq);//
