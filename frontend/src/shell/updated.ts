/** Whether a part of the page could not be fetched: after an update of Okno the files of the former one are gone. */
let missed = false;

window.addEventListener("vite:preloadError", () => {
  missed = true;
});

export const isOutdated = (): boolean => missed;
