// Package models holds package model against the running kernel: the laws of rates,
// the cost of a search, and which way to open a connection stands in the way of which.
package models
