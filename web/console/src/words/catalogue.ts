type Entry<T> = T extends (...parameters: infer P) => string ? (...parameters: P) => string : string;

/** The form of a catalogue: the same keys, and the same parameters at each. */
export type Catalogue<T> = { readonly [K in keyof T]: Entry<T[K]> };
