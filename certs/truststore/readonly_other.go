//go:build !unix

package truststore

import "io/fs"

var errReadOnly = fs.ErrPermission
