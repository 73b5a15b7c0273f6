package tracing

import "context"

type byKey struct{}

// naming has a place for who asks, which only a handler finds out.
func naming(ctx context.Context, by *string) context.Context {
	return context.WithValue(ctx, byKey{}, by)
}

// By has the log of a request name who asked, where that is not the owner of its certificate.
func By(ctx context.Context, who string) {
	if by, ok := ctx.Value(byKey{}).(*string); ok {
		*by = who
	}
}
