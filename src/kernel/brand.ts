/** A nominal type: a `T` that cannot be swapped for another `T` by accident. The brand exists at compile time only. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

declare const brand: unique symbol;
