module github.com/libmalti/malti-go/gorilla

go 1.25.0

require (
	github.com/gorilla/mux v1.8.1
	github.com/libmalti/malti-go v0.0.0
)

require github.com/felixge/httpsnoop v1.1.0 // indirect

replace github.com/libmalti/malti-go => ../
