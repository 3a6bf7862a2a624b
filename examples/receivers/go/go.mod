module posthaste-receiver

go 1.19
