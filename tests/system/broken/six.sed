# Addresses of IPv6 stay as they are.
s/__builtin_memcpy(&ip6.saddr, way->source, size);//
