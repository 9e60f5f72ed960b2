"""The bookshop's HTML with holes in it, tag for tag as books.toscrape.com writes its pages."""

# Every script is local, where the original asks a CDN for jQuery: a demo must not reach for the internet.
PAGE = """<!DOCTYPE html>
<!--[if lt IE 7]>      <html lang="en-us" class="no-js lt-ie9 lt-ie8 lt-ie7"> <![endif]-->
<!--[if IE 7]>         <html lang="en-us" class="no-js lt-ie9 lt-ie8"> <![endif]-->
<!--[if IE 8]>         <html lang="en-us" class="no-js lt-ie9"> <![endif]-->
<!--[if gt IE 8]><!--> <html lang="en-us" class="no-js"> <!--<![endif]-->
    <head>
        <title>
    {title} | Books to Scrape - Sandbox
</title>
        <meta http-equiv="content-type" content="text/html; charset=UTF-8" />
        <meta name="created" content="24th Jun 2016 09:29" />
        <meta name="description" content="
    {description}
" />
        <meta name="viewport" content="width=device-width" />
        <meta name="robots" content="NOARCHIVE,NOCACHE" />
        <!-- Le HTML5 shim, for IE6-8 support of HTML elements -->
        <!--[if lt IE 9]>
        <script src="{home}static/oscar/js/html5.js"></script>
        <![endif]-->
        <link rel="shortcut icon" href="{home}static/oscar/favicon.ico" />
        <link rel="stylesheet" type="text/css" href="{home}static/oscar/css/styles.css" />
        <link rel="stylesheet" href="{home}static/oscar/js/bootstrap-datetimepicker/bootstrap-datetimepicker.css" />
        <link rel="stylesheet" type="text/css" href="{home}static/oscar/css/datetimepicker.css" />
    </head>
    <body id="default" class="default">
    <header class="header container-fluid">
        <div class="page_inner">
            <div class="row">
                <div class="col-sm-8 h1"><a href="{home}index.html">Books to Scrape</a><small> We love being scraped!</small>
</div>
            </div>
        </div>
    </header>
        <div class="container-fluid page">
            <div class="page_inner">
<ul class="breadcrumb">
    <li>
        <a href="{home}index.html">Home</a>
    </li>
    {breadcrumb}
</ul>
{content}
            </div>
        </div>
<footer class="footer container-fluid">
</footer>
            <!-- jQuery -->
            <script src="{home}static/oscar/js/jquery/jquery.min.js"></script>
            <script>window.jQuery || document.write('<script src="{home}static/oscar/js/jquery/jquery-1.9.1.min.js"><\\/script>')</script>
    <!-- Twitter Bootstrap -->
    <script type="text/javascript" src="{home}static/oscar/js/bootstrap3/bootstrap.min.js"></script>
    <!-- Oscar -->
    <script src="{home}static/oscar/js/oscar/ui.js" type="text/javascript" charset="utf-8"></script>
    <script src="{home}static/oscar/js/bootstrap-datetimepicker/bootstrap-datetimepicker.js" type="text/javascript" charset="utf-8"></script>
    <script src="{home}static/oscar/js/bootstrap-datetimepicker/locales/bootstrap-datetimepicker.all.js" type="text/javascript" charset="utf-8"></script>
        <script type="text/javascript">
            $(function() {{
    oscar.init();
            }});
        </script>
        <!-- Version: N/A -->
    </body>
</html>
"""  # noqa: E501  # the original's lines are as long

CRUMB = """<li>
        <a href="{href}">{text}</a>
    </li>"""

HERE = """<li class="active">{text}</li>"""

WARNING = (
    '<div class="alert alert-warning" role="alert"><strong>Warning!</strong> '
    "This is a demo website for web scraping purposes. "
    "Prices and ratings here were randomly assigned and have no real meaning.</div>"
)

STARS = """<p class="star-rating {rating}">
        <i class="icon-star"></i>
        <i class="icon-star"></i>
        <i class="icon-star"></i>
        <i class="icon-star"></i>
        <i class="icon-star"></i>{rest}</p>"""

REVIEWS = """
        <!-- <small><a href="/catalogue/{path}/reviews/">
                    0 customer reviews
        </a></small>
         -->&nbsp;
<!--
    <a id="write_review" href="/catalogue/{path}/reviews/add/#addreview" class="btn btn-success btn-sm">
        Write a review
    </a>
 -->"""

OFFER = """<p class="price_color">{price}</p>
<p class="instock availability">
    <i class="icon-ok"></i>

        {stock}

</p>"""

POD = """<li class="col-xs-6 col-sm-4 col-md-3 col-lg-3">
    <article class="product_pod">
            <div class="image_container">
                    <a href="{href}"><img src="{image}" alt="{title}" class="thumbnail"></a>
            </div>
                {stars}
            <h3><a href="{href}" title="{title}">{clipped}</a></h3>
            <div class="product_price">
        {offer}
    <form>
        <button type="submit" class="btn btn-primary btn-block" data-loading-text="Adding...">Add to basket</button>
    </form>
            </div>
    </article>
</li>"""

LISTING = """<div class="row">
    <aside class="sidebar col-sm-4 col-md-3">
        <div id="promotions_left">
        </div>
        {sidebar}
    </aside>
    <div class="col-sm-8 col-md-9">
        <div class="page-header action">
            <h1>{heading}</h1>
        </div>
<div id="messages">
</div>
        <div id="promotions">
        </div>
        <form method="get" class="form-horizontal">
            <div style="display:none">
            </div>
            {results}
        </form>
        <section>
            {warning}
            <div>
                <ol class="row">
{pods}
                </ol>
                {pager}
            </div>
        </section>
    </div>
</div><!-- /row -->"""

SIDEBAR = """<div class="side_categories">
            <ul class="nav nav-list">
                    <li>
                        <a href="{href}">
                                {text}
                        </a>
                        <ul>
{categories}
                        </ul></li>
            </ul>
        </div>"""

CATEGORY = """<li>
                        <a href="{href}">
                                {text}
                        </a>
                    </li>"""

PAGER = """<div>
    <ul class="pager">
        {previous}<li class="current">
            Page {page} of {pages}
        </li>
        {following}    </ul>
</div>"""

PRODUCT = """<div id="messages">
</div>
                <div class="content">
                    <div id="promotions">
                    </div>
                    <div id="content_inner">
<article class="product_page"><!-- Start of product page -->
    <div class="row">
        <div class="col-sm-6">
        <div id="product_gallery" class="carousel">
            <div class="thumbnail">
                <div class="carousel-inner">
                    <div class="item active">
                            <img src="{image}" alt="{alt}" />
                    </div>
                </div>
            </div>
        </div>
        </div>
        <div class="col-sm-6 product_main">
            <h1>{title}</h1>
        {offer}
    {stars}
            <hr/>
            {warning}
        </div><!-- /col-sm-6 -->
    </div><!-- /row -->
        {description}
    <div class="sub-header">
        <h2>Product Information</h2>
    </div>
    <table class="table table-striped">
        <tr><th>UPC</th><td>{upc}</td></tr>
        <tr><th>Product Type</th><td>Books</td></tr>
        <tr><th>Price (excl. tax)</th><td>{price}</td></tr>
        <tr><th>Price (incl. tax)</th><td>{price}</td></tr>
        <tr><th>Tax</th><td>£0.00</td></tr>
        <tr><th>Availability</th><td>{stock}</td></tr>
        <tr><th>Number of reviews</th><td>0</td></tr>
    </table>
        <section>
            <div id="reviews" class="sub-header">
            </div>
        </section>
    {viewed}
</article><!-- End of product page -->
</div>
                </div>"""

DESCRIPTION = """<div id="product_description" class="sub-header">
            <h2>Product Description</h2>
        </div>
        <p>{text}</p>"""

VIEWED = """<div class="sub-header">
            <h2>Products you recently viewed</h2>
        </div>
        <ul class="row">
{pods}
        </ul>"""

NOT_FOUND = """<html>
<head><meta charset="UTF-8"><title>404 Not Found</title></head>
<body>
<h1>Not Found</h1>
<p>This shop has no page at {path}.</p>
</body>
</html>
"""

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{urls}
</urlset>
"""

ROBOTS = """User-agent: *
Disallow: /basket/

Sitemap: {base}sitemap.xml
"""
