module parcels

go 1.25

require github.com/libmalti/malti-go v0.0.0

require github.com/felixge/httpsnoop v1.1.0 // indirect

replace github.com/libmalti/malti-go => ../../../bindings/go
