module github.com/libmalti/malti-go

go 1.25

require github.com/felixge/httpsnoop v1.1.0
