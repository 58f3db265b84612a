/** Why there is no answer to show. */
export type HttpGetFailure = "timeout" | "refused";

export type HttpGetResult =
  | { readonly kind: "answered"; readonly status: number; readonly body: string }
  | { readonly kind: "failed"; readonly why: HttpGetFailure };

/** A GET of another node's page, from dialling to the last byte within `timeoutMs`. Never rejects. */
export type HttpGet = (url: string, timeoutMs: number) => Promise<HttpGetResult>;
