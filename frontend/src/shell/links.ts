/** Links inside the application change the page without loading it anew, whoever drew them. */
import { useEffect } from "react";
import { useLocation } from "wouter";

/** Addresses of the same origin that are no pages of the application. */
const OTHER_PAGES = /^\/(auth|graphql)(\/|\?|$)/;

export function useLinkNavigation(): void {
  const [, navigate] = useLocation();
  useEffect(() => {
    const onClick = (event: MouseEvent) => {
      if (
        event.defaultPrevented ||
        event.button !== 0 ||
        event.metaKey ||
        event.ctrlKey ||
        event.shiftKey ||
        event.altKey
      )
        return;
      const link = event.target instanceof Element ? event.target.closest("a") : null;
      const href = link?.getAttribute("href");
      if (!link || !href?.startsWith("/") || OTHER_PAGES.test(href) || link.target || link.hasAttribute("download"))
        return;
      event.preventDefault();
      navigate(href);
    };
    document.addEventListener("click", onClick);
    return () => document.removeEventListener("click", onClick);
  }, [navigate]);
}
