/** Gives the reader a file. */
export function save(content: Blob, file: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = file;
  link.click();
  // The browser has taken the content up by the next turn of its loop at the latest a moment after.
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
