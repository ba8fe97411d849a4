module github.com/libmalti/malti-go/echov5

go 1.25.0

require (
	github.com/labstack/echo/v5 v5.4.4
	github.com/libmalti/malti-go v0.0.0
)

require (
	github.com/felixge/httpsnoop v1.1.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace github.com/libmalti/malti-go => ../
