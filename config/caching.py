from django.views.decorators.cache import cache_control

# Anyone may keep a public page for five seconds, and show it for five more while fetching the next one. With the count
# read when the page is made, nobody without a script sees a number older than ten seconds.
public_page = cache_control(public=True, max_age=0, s_maxage=5, stale_while_revalidate=5, stale_if_error=300)
