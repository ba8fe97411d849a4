// hapi's types name those of joi, which hapi does not bring along.
declare module 'joi' {
  export type ObjectSchema<T> = T
  export type Root = unknown
  export type Schema = unknown
  export type SchemaMap = unknown
  export type ValidationOptions = unknown
}
