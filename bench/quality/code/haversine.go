package geo

import "math"

const earthRadiusKm = 6371.0088

type LatLon struct {
	Lat float64
	Lon float64
}

func rad(deg float64) float64 { return deg * math.Pi / 180 }
func deg(rad float64) float64 { return rad * 180 / math.Pi }

// Distance in kilometres along the great circle.
func Distance(a, b LatLon) float64 {
	dLat := rad(b.Lat - a.Lat)
	dLon := rad(b.Lon - a.Lon)
	h := math.Pow(math.Sin(dLat/2), 2) +
		math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthRadiusKm * math.Asin(math.Sqrt(h))
}

// Bearing is the initial compass direction from a to b, 0 to 360.
func Bearing(a, b LatLon) float64 {
	dLon := rad(b.Lon - a.Lon)
	y := math.Sin(dLon) * math.Cos(rad(b.Lat))
	x := math.Cos(rad(a.Lat))*math.Sin(rad(b.Lat)) -
		math.Sin(rad(a.Lat))*math.Cos(rad(b.Lat))*math.Cos(dLon)
	return math.Mod(deg(math.Atan2(y, x))+360, 360)
}

// Destination walks distanceKm from a in the given direction.
func Destination(a LatLon, bearing, distanceKm float64) LatLon {
	d := distanceKm / earthRadiusKm
	lat := math.Asin(math.Sin(rad(a.Lat))*math.Cos(d) + math.Cos(rad(a.Lat))*math.Sin(d)*math.Cos(rad(bearing)))
	lon := rad(a.Lon) + math.Atan2(
		math.Sin(rad(bearing))*math.Sin(d)*math.Cos(rad(a.Lat)),
		math.Cos(d)-math.Sin(rad(a.Lat))*math.Sin(lat))
	return LatLon{deg(lat), deg(lon)}
}
