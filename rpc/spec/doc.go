// Package spec reads a request's spec, YAML or JSON, and says what is wrong with it and where.
//
// Parse turns bytes of a stranger into a rest.RequestSpec that has been checked as far as one can without the state
// of a cluster: fields, values, names, needs, cycles. A problem carries its line and column and the field's path, and
// several are told at once.
//
// # Way of a body
//
//	JSON bytes -> jsonSource \
//	                          tokens with places -> decoder -> fields -> rest.RequestSpec -> checkGraph
//	YAML bytes -> yamlSource /
//
// The decoder sees one stream of tokens and knows nothing of either syntax. JSON is streamed, so a million jobs cost
// no tree. YAML is read as a tree first and therefore limited to YAMLBytesMax.
//
// # Invariants
//
//   - Time and memory are linear in the body's size: depth, aliases and the number of problems are bounded.
//   - What Parse accepts, the JSON Schema of this package accepts, and the other way round but for what a schema
//     cannot say (unknown needs, cycles, duplicates).
package spec
