//go:build !windows && !darwin

package route

import "context"

// readSettings is nil: these systems have the environment, and settings of desktops that programs agree about no further
// than that.
var readSettings func(context.Context) (*settings, error)
