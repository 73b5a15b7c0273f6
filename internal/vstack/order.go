package vstack

// StoreOrder is what an operator wants of a store. From LevelPolicy on.
type StoreOrder string

const (
	// OrderCordon keeps new roles away from a store; it keeps those that it has.
	OrderCordon   StoreOrder = "cordon"
	OrderUncordon StoreOrder = "uncordon"
	// OrderDrain cordons a store and moves its roles to others.
	OrderDrain StoreOrder = "drain"
	// OrderUndrain lets it take roles again, and keep those that have not moved yet.
	OrderUndrain StoreOrder = "undrain"
	// OrderRemove takes a store that has no role out of the catalog. One that still runs
	// registers again, as a new one.
	OrderRemove StoreOrder = "remove"
)

// Balance says whether roles are being shared out anew. From LevelPolicy on.
type Balance string

const (
	BalanceIdle    Balance = ""        // it begins by itself once stores differ much
	BalanceRunning Balance = "running" // until every open store has its share
	BalanceHeld    Balance = "held"    // an operator wants none
)
