module github.com/libmalti/malti-go/chi

go 1.25.0

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/libmalti/malti-go v0.0.0
)

require github.com/felixge/httpsnoop v1.1.0 // indirect

replace github.com/libmalti/malti-go => ../
