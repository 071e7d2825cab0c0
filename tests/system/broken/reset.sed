# Nor a RST.
s/if (tcp->rst && (seq == way->acked/if (false \&\& (seq == way->acked/
